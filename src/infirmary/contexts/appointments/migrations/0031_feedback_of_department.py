"""What a department may see of it."""
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.create_index("feedback_of_department", "feedback", ["department_id", "to_department_at"], unique=False)
