//! Does the work of the sample: plain functions, value in, value out.
