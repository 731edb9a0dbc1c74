"""Reading pages: bands for long ones, loops cut and retried, tables, fields, line boxes."""
