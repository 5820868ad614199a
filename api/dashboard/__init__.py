"""The page: plain files, served under /ui and /assets with a content security policy; nothing comes from a CDN."""
