"""The model over HTTP: OpenAI's and Ollama's requests, dvl2's own tasks, and a page."""
