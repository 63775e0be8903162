"""Libraries that report on their users, loaded with the reports switched off.

No other module imports them: whoever loads one by another way sends reports. What each would send,
and when, is in ``docs/security.md``.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["hugging_face_hub", "onnx_runtime"]


def onnx_runtime() -> Any:
    """Return the module ``onnxruntime``; it neither sends anything nor writes a device's id.

    Only the variable keeps it from all of that, and only if it is set before the library is first
    loaded, whatever its value was. Where the application has loaded it already, a first event may
    be on its way; the call then stops later ones.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def hugging_face_hub() -> Any:
    """Return the module ``huggingface_hub``; its requests say no more than its version.

    It reads the variable when it is first loaded, perhaps by transformers, hence the constant.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import huggingface_hub
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    return huggingface_hub
