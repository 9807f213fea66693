"""Where dashboards lead: to each other, by tag, and to the explorer's page about the same thing."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

TAG = "globalmart"
EXECUTIVE, SALES, INGESTION = "globalmart-executive", "globalmart-sales", "globalmart-ingestion"
CUSTOMERS, PRODUCTS, HEALTH = "globalmart-customers", "globalmart-products", "globalmart-health"
_PERIOD = "from=${__from}&to=${__to}"


def to_dashboards() -> dashboard.DashboardLink:
    """A menu of all dashboards; the period and the variables go along."""
    return (
        dashboard.DashboardLink("Dashboards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )


def to_explorer(title: str, api_url: str, page: str) -> dashboard.DashboardLink:
    """The explorer's `page`, in a tab of its own."""
    return (
        dashboard.DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .icon("external link")
        .tooltip("GlobalMart's web explorer")
        .url(f"{api_url.rstrip('/')}/explorer/{page}".rstrip("/"))
        .target_blank(True)
    )


def to_category() -> dict[str, object]:
    """A data link of a column with categories: the products dashboard of that category."""
    url = f"/d/{PRODUCTS}?var-category=${{__value.raw:percentencode}}&{_PERIOD}"
    return {"title": "Products of ${__value.raw}", "url": url, "targetBlank": False}


def to_country() -> dict[str, object]:
    """A data link of a column with countries: the sales dashboard of that country."""
    url = f"/d/{SALES}?var-country=${{__value.raw:percentencode}}&{_PERIOD}"
    return {"title": "Sales in ${__value.raw}", "url": url, "targetBlank": False}
