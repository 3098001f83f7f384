"""Values of `peft_type` in adapter_config.json that PEFT does not have."""

BOTTLENECK = "HOULSBY"
