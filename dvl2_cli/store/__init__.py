"""Where models live: finding, downloading, checking, listing and deleting them."""
