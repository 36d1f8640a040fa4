"""The sub-commands of `hie`, one file each."""
