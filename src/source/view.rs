//! A map as bytes that keep it. In: a map. Out: its memory, which lives for as long as any part of it is
//! shown somewhere. Never: a copy.

use std::sync::Arc;

use bytes::Bytes;

use super::system::Map;

/// The whole of a map.
pub(super) fn view(map: &Arc<Map>) -> Bytes {
    Bytes::from_owner(View(Arc::clone(map)))
}

struct View(Arc<Map>);

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self.0.memory()
    }
}
