"""Building blocks of the steps' HTML reports: pages, tables and plots."""
