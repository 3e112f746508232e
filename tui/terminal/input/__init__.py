"""What a terminal sends: cut into keys, pastes and reports, and acted on one after another."""
