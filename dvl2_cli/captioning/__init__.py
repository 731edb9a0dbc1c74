"""Captions of many pictures: wording, sidecar files, the journal that survives a kill."""
