//! Two files for one remote name, in one run and in two runs at once.
