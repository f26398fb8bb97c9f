"""The back end whose keys live in a device, behind any PKCS#11 module."""
