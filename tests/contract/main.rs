//! Client and emulator agree with the service's documents, and not only with one another: the
//! documents' own samples are answered to the client, and the emulator is called as they say.

mod canned;
mod client;
mod emulator;
mod samples;
