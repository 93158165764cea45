//! Tasks that die or block: whoever waits for them is answered.
