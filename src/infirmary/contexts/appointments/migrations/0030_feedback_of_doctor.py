"""What a doctor may see of it."""
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_index("feedback_of_doctor", "feedback", ["doctor_id", "to_doctor_at"], unique=False)
