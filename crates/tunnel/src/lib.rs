//! OpenSSH masters, remote commands, forwards and HTTP probes for Towline.
