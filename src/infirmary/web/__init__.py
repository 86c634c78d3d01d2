"""The pages people see. They ask contexts only through contracts."""
