"""What the terminal sends: bytes read without trust, pastes kept apart, keys one after another."""
