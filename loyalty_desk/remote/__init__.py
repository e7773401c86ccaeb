"""The server over HTTP. Imported by the sync thread and by enrolment alone: the HTTP client is heavy."""
