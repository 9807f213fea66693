"""From one release of the platform to the next, with the data that is there. `globalmart upgrade`"""
