"""What may change while services run. Git keeps it in small files; each service is given the sum of its layers:

    common.yaml < <environment>/common.yaml < <environment>/<service>.yaml

`push` checks every service's sum and stores all of them as one new version in etcd, where the processes watch it; one
process alone may watch the folder itself. A value that cannot be used never replaces one that can: it is logged, and
the last good one stays. Secrets are refused, since Git and etcd show what they hold to many.
"""
from __future__ import annotations

from .layers import COMMON, ConfigRefused, Content, merged
from .live import Live
from .pushing import push, rollback
from .stores import EtcdStore, FolderStore, Store, store
from .versions import Head, Version, diff

__all__ = ["COMMON", "ConfigRefused", "Content", "EtcdStore", "FolderStore", "Head", "Live", "Store", "Version", "diff",
           "merged", "push", "rollback", "store"]
