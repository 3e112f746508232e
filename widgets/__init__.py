"""Views of plain values: drawing is pure functions, a widget is a thin shell."""
