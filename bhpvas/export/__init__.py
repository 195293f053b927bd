"""Export: a pruned model as files that work without bhpvas, read back before they are given.

One module holds one format, one registry names them. It imports storage, tasks, data, model,
scheme, evaluation and the files at the root.
"""

from bhpvas.export.base import ExportError as ExportError
from bhpvas.export.base import Format as Format
from bhpvas.export.exported import Exported as Exported
from bhpvas.export.formats import FORMATS as FORMATS
from bhpvas.export.formats import format_named as format_named
from bhpvas.export.writing import TOLERANCE as TOLERANCE
from bhpvas.export.writing import check_folder as check_folder
from bhpvas.export.writing import export_model as export_model
