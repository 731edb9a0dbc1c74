"""Reading a page line by line: find, order, pack, read, put together.

Small vision models read single lines of print far better than whole pages. The pipe has five
functions, one a module: ``find_lines``, ``in_reading_order``, ``pack``, ``read_lines`` and
``put_together``.
"""
