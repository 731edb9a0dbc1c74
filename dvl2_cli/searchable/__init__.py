"""PDFs whose pages can be searched: what was read, laid invisibly over the pixels by OCRmyPDF."""
