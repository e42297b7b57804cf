"""The files of a run beside its rows: tables, annotation files, subtitles, pages."""
