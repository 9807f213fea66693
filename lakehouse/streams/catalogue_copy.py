"""The real-time lane's own copy of the catalogue: a small Delta table on local disk, one row a product as it is now.

Spark reads the newest version of a Delta table at each batch border, which plain files would not give. `silver/products` itself holds
every change of a product, and to find the last of each needs a sort, which Real-Time Mode does not allow.
"""

from __future__ import annotations

import logging

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.live.price_book import current_listings
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import MONEY, PRODUCTS

log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("name", pa.string()),
        ("category", pa.string()),
        ("price", MONEY),
        ("usual_price", MONEY),
    ]
)
_KEPT_HOURS = 1


class CatalogueCopy:
    """`path` is the copy, there from the start; `product_count` how many products it holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source: DeltaTable | None = None
        self._version = -1
        self.path = settings.state_dir / "realtime" / "catalogue"
        self.path.mkdir(parents=True, exist_ok=True)
        self._rows = SCHEMA.empty_table()
        self._write()

    @property
    def product_count(self) -> int:
        return len(self._rows)

    def refresh(self) -> int:
        """Take over what has changed in `silver/products`; returns how many products are new or changed in price.

        A lake that does not answer changes nothing: the lane goes on with what it has.
        """
        try:
            if self._source is None:
                self._source = open_table(self._settings, PRODUCTS)
            self._source.update_incremental()
            if self._source.version() == self._version:
                return 0
            columns = [*SCHEMA.names[:4], "timestamp", "offset"]
            products = self._source.to_pyarrow_dataset().to_table(columns=columns, use_threads=False)
            version = self._source.version()
        except TableNotFoundError:
            return 0
        except (DeltaError, OSError) as error:
            log.warning("the catalogue was not refreshed: %s", error)
            return 0
        rows = current_listings(products).cast(SCHEMA)
        changed = _changed(self._rows, rows)
        if changed:
            self._rows = rows
            self._write()
        self._version = version
        return changed

    def _write(self) -> None:
        write_deltalake(str(self.path), self._rows, mode="overwrite", schema_mode="overwrite")
        copy = DeltaTable(str(self.path))
        copy.vacuum(retention_hours=_KEPT_HOURS, enforce_retention_duration=False, dry_run=False)


def _changed(old: pa.Table, new: pa.Table) -> int:
    """How many products of `new` are not in `old` with the same name, category and price."""
    before = old.drop_columns(["usual_price"]).append_column("_is_known", pa.array([True] * len(old), pa.bool_()))
    joined = new.join(before, ["product_id", "name", "category", "price"], use_threads=False)
    return int(pc.sum(pc.is_null(joined["_is_known"])).as_py() or 0)
