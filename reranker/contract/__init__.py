"""What every scorer keeps to: protocols, scores, deadlines, inputs and errors."""
