"""The pipeline in the words of other frameworks, thin: each module needs the extra of its name."""
