"""The recorder at a shop counter: microphone -> OGG/Opus chunks -> the gateway, through any outage."""
