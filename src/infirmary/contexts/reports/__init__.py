"""Figures for those who run the hospital, from facts that the other contexts announce."""
