"""The user's own conversations about pictures, as `dvl2 train` and `dvl2 eval` read them."""
