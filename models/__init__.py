"""The language model's side: values and rules here, torch only in `engine` and `training`."""
