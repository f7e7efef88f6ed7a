"""Reports: figures described once, drawn into one HTML page and into PNG images."""
