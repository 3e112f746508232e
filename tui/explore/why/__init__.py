"""Why a step came out as it did: what the user looks at, and what is known of it."""
