//! As much of hyper as the host sees. In: a wire, which the test makes and may cut. Out: the handles
//! to send on it, which say whether it is ready and end it when the last one is gone. Never: a byte.

mod wire;

pub use wire::{Turn, Wire};

/// A wire was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error;

/// Clients.
pub mod client {
    /// Connections.
    pub mod conn {
        /// HTTP/1.1.
        pub mod http1 {
            use std::marker::PhantomData;
            use std::sync::Arc;

            use crate::wire::Handle;
            use crate::{Error, Wire};

            /// The only handle of its wire.
            #[derive(Debug)]
            pub struct SendRequest<B> {
                wire: Arc<Wire>,
                body: PhantomData<fn(B)>,
            }

            impl<B> SendRequest<B> {
                /// A handle to send on `wire`.
                #[must_use]
                pub fn new(wire: Arc<Wire>) -> Self {
                    wire.handle_made(Handle::First);
                    SendRequest {
                        wire,
                        body: PhantomData,
                    }
                }

                /// The wire.
                #[must_use]
                pub fn wire(&self) -> &Arc<Wire> {
                    &self.wire
                }

                /// Whether the next request may be sent.
                #[must_use]
                pub fn is_ready(&self) -> bool {
                    self.wire.is_ready()
                }

                /// Waits until it may.
                ///
                /// # Errors
                /// [`Error`] where the wire is cut before.
                pub async fn ready(&mut self) -> Result<(), Error> {
                    self.wire.ready().await
                }
            }

            impl<B> Drop for SendRequest<B> {
                fn drop(&mut self) {
                    self.wire.handle_dropped(Handle::First);
                }
            }
        }

        /// HTTP/2.
        pub mod http2 {
            use std::marker::PhantomData;
            use std::sync::Arc;

            use crate::Wire;
            use crate::wire::Handle;

            /// One of the handles of its wire.
            #[derive(Debug)]
            pub struct SendRequest<B> {
                wire: Arc<Wire>,
                handle: Handle,
                body: PhantomData<fn(B)>,
            }

            impl<B> SendRequest<B> {
                /// A handle to send on `wire`.
                #[must_use]
                pub fn new(wire: Arc<Wire>) -> Self {
                    SendRequest::of(wire, Handle::First)
                }

                fn of(wire: Arc<Wire>, handle: Handle) -> Self {
                    wire.handle_made(handle);
                    SendRequest {
                        wire,
                        handle,
                        body: PhantomData,
                    }
                }

                /// The wire.
                #[must_use]
                pub fn wire(&self) -> &Arc<Wire> {
                    &self.wire
                }
            }

            impl<B> Clone for SendRequest<B> {
                fn clone(&self) -> Self {
                    SendRequest::of(Arc::clone(&self.wire), Handle::Further)
                }
            }

            impl<B> Drop for SendRequest<B> {
                fn drop(&mut self) {
                    self.wire.handle_dropped(self.handle);
                }
            }
        }
    }
}
