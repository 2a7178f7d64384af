//! The client's side: one request, and the response to it.
