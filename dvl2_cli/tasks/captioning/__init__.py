"""Captions of many pictures: wording, sidecar files, tables."""
