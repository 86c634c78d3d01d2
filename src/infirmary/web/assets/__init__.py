"""Sources of the style sheet, scripts, icons and fonts that pages use."""
