"""One content type each: bytes into parsed values or columns."""
