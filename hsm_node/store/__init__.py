"""Sealed records on disk or in etcd, behind one small interface; `migration` moves them from one to the other."""
