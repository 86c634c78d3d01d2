"""What the rows of such a table said, and what became of them."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, Json

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table("import_row",
        sa.Column("id", Id(), nullable=False),
        sa.Column("import_id", Id(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("said", Json(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.Column("errors", Json(), nullable=False),
        sa.Column("alike", Json(), nullable=False),
        sa.Column("person_key", sa.String(length=64), nullable=True),
        sa.Column("same_as_line", sa.Integer(), nullable=True),
        sa.Column("patient_id", Id(), nullable=True),
        sa.Column("kept", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("import_id", "line", name="import_row_import_id_line"),
        sa.UniqueConstraint("patient_id", name="import_row_patient_id"),
        sa.Index("import_row_by_status", "import_id", "status", "line"),
        sa.Index("import_row_by_person", "import_id", "person_key", "line")
    )
