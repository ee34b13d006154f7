//! Who can learn what from the sealed gallery, and why.
