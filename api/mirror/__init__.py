"""The PostgreSQL mirror of gold: what dashboards read. Delta stays the truth; all of this can be dropped and made again."""
