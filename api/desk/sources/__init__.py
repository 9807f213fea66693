"""What the desk looks at itself: each module is one source of conditions, such as a service that is down."""
