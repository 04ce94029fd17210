"""Everything that is kept on disk: layouts, atomic writes, the cache."""

from neurosbi.store.atomic import atomic_path, write_json
from neurosbi.store.cache import cache_directory, config_hash

__all__ = ["atomic_path", "cache_directory", "config_hash", "write_json"]
