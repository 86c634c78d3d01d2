"""What notifications announces: nothing yet that anybody listens to."""
