"""The Grafana server's settings as code: who gets in, what it may not do. No secret is in them: docs/dashboards.md."""

from __future__ import annotations

from collections.abc import Mapping

# Sections and names as in Grafana's own defaults; `GF_SECTION_NAME` in the environment goes before these.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "server": {"http_addr": "127.0.0.1", "http_port": "3001"},
    "analytics": {
        "reporting_enabled": "false",
        "check_for_updates": "false",
        "check_for_plugin_updates": "false",
        "feedback_links_enabled": "false",
    },
    # The admin's password and the key that encrypts the data source's are random: the environment has them.
    "security": {
        "admin_user": "admin",
        "disable_gravatar": "true",
        "cookie_samesite": "strict",
        "content_security_policy": "true",
        "x_content_type_options": "true",
        "x_xss_protection": "true",
        "allow_embedding": "false",
    },
    "users": {"allow_sign_up": "false", "allow_org_create": "false", "auto_assign_org_role": "Viewer"},
    "auth": {"disable_login_form": "false", "login_maximum_inactive_lifetime_duration": "12h"},
    "auth.anonymous": {"enabled": "false"},
    "auth.basic": {"enabled": "true"},
    "snapshots": {"enabled": "false", "external_enabled": "false"},
    "public_dashboards": {"enabled": "false"},
    "plugins": {"plugin_admin_enabled": "false"},
    "news": {"news_feed_enabled": "false"},
    "dashboards": {
        "min_refresh_interval": "5s",
        "default_home_dashboard_path": "{dashboards}/Business/globalmart-executive.json",
    },
    "date_formats": {"default_timezone": "UTC"},
    "unified_alerting": {"enabled": "true"},
}
SECRETS = ("GF_SECURITY_ADMIN_PASSWORD", "GF_SECURITY_SECRET_KEY")
"""What the environment must have; Grafana's own defaults of these two are known to everybody."""


def ini(dashboards: str) -> str:
    """The text of `grafana.ini`. `dashboards` is the folder of dashboards as the server sees it."""
    lines = ["# Built by `globalmart dashboards build`: change infra/dashboards/server.py instead."]
    for section, values in SETTINGS.items():
        lines += ["", f"[{section}]"]
        lines += [f"{name} = {value.format(dashboards=dashboards)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"
