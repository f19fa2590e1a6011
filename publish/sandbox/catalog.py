"""The catalogue of products, and files of Drive, as far as a move reads them; neither is in the scope `crm`.

Pages `catalog/catalog/catalog-catalog-list`, `catalog/product/catalog-product-list`, `disk/file/disk-file-get`. A list
of products wants to know of which catalogue. Products are made past the methods (`Portal.add_product`).
"""

from typing import Any

from publish.sandbox import files, php
from publish.sandbox.listing import PAGE, select_rows, start_of
from publish.sandbox.methods import ApiError, Call, Page, method

KIND, CATALOG = "product", 23


@method("catalog.catalog.list", scope="catalog")
def catalog_list(call: Call) -> Page:
    named = {"iblockId": CATALOG, "iblockTypeId": "CRM_PRODUCT_CATALOG", "id": CATALOG, "name": "Каталог товаров CRM"}
    return Page({"catalogs": [named]}, 1)


@method("catalog.product.list", scope="catalog")
def product_list(call: Call) -> Page:
    chosen = [str(name) for _, name in php.pairs(call.get("select") or [])]
    if not {"id", "iblockId"} <= {*chosen}:
        raise ApiError("0", "Required select fields: id, iblockId")
    if php.integer(call.mapping("filter").get("iblockId")) <= 0:
        raise ApiError("0", "Required filter fields: iblockId")
    rows = [{"id": key} | body for key, body in call.store.documents(KIND).items()]
    products = sorted(select_rows(call, rows), key=lambda row: int(row["id"]))
    if any(str(direction).upper() == "DESC" for _, direction in php.pairs(call.get("order") or {})):
        products.reverse()
    at = max(start_of(call), 0)
    shown: list[dict[str, Any]] = [
        {name: row[name] for name in chosen if name in row} for row in products[at : at + PAGE]
    ]
    return Page({"products": shown}, len(products), at + PAGE if at + PAGE < len(products) else None)


@method("disk.file.get", scope="disk")
def file_get(call: Call) -> dict[str, Any]:
    shown = files.of_drive(call, call.identifier())
    if shown is None:
        raise ApiError("ERROR_NOT_FOUND", "Could not find entity with id")
    return shown
