"""The flow of a group as a drawing: a table, a diagram, a picture or a document."""
